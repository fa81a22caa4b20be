/* describe.c: prints the steps as the README shows them. */
#include "runtime/describe.h"

#include <stdio.h>

static void print_events(saga_events events)
{
    if (events == NULL || *events == NULL) {
        printf(" - |");
        return;
    }
    const char *separator = " ";
    for (; *events != NULL; events++, separator = ", ")
        printf("%s%s", separator, (*events)->name);
    printf(" |");
}

static void print_event(const struct saga_event *event)
{
    printf(" %s |", event ? event->name : "-");
}

void describe(const struct saga_service *service)
{
    static const char *const kinds[] = {"compensatable", "pivot", "retriable"};
    for (const struct saga_step *const *each = service->steps; each && *each; each++) {
        const struct saga_step *step = *each;
        printf("| %s | %s (%s) |", service->name, step->name, kinds[step->kind]);
        if (step->action.on_command != NULL)
            printf(" %s |", step->action.on_command->name);
        else
            print_events(step->action.on);
        print_event(step->action.says);
        print_event(step->action.refuses);
        print_events(step->undo.on);
        print_event(step->undo.says);
        printf("\n");
    }
}
