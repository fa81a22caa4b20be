/* main.c: the program shipping-svc. */
#include "service.h"

int main(int argc, char **argv)
{
    return saga_main(&shipping_service, argc, argv);
}
