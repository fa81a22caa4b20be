/* main.c: the program inventory-svc. */
#include "service.h"

int main(int argc, char **argv)
{
    return saga_main(&inventory_service, argc, argv);
}
