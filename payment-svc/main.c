/* main.c: the program payment-svc. */
#include "service.h"

int main(int argc, char **argv)
{
    return saga_main(&payment_service, argc, argv);
}
