/* cancel_order.c: POST /v1/orders/{id}/cancel. */
#include "order_api.h"
#include "steps.h"

struct cancel {
    struct saga_uuid order_id;
    enum cancel_reply reply;
};

static void order_was_read(struct saga_request *request)
{
    const struct order_view *view = saga_request_row(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED)
        saga_request_not_committed(request);
    else if (view == NULL)
        order_reply_not_found(request);
    else
        order_reply(request, 202, view);
}

static void cancel_was_decided(struct saga_request *request)
{
    const struct cancel *cancel = saga_request_kept(request);
    if (saga_request_outcome(request) != SAGA_COMMITTED)
        saga_request_not_committed(request);
    else if (cancel->reply == CANCEL_UNKNOWN_ORDER)
        order_reply_not_found(request);
    else if (cancel->reply == CANCEL_TOO_LATE)
        saga_request_problem(request, 409, "order_not_cancellable", "It has shipped.", 0);
    else
        saga_request_query(request, &order_find, saga_uuid_key(&cancel->order_id), order_was_read);
}

void order_post_cancel(struct saga_request *request)
{
    struct cancel *cancel = saga_request_alloc(request, sizeof *cancel);
    if (!order_path_id(request, &cancel->order_id))
        return;
    saga_request_keep(request, cancel);
    saga_request_submit(request, &order_cancel, &cancel->order_id, NULL, &cancel->reply,
                        cancel_was_decided);
}
