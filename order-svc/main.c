/* main.c: the program order-svc. */
#include "service.h"

int main(int argc, char **argv)
{
    return saga_main(&order_service, argc, argv);
}
