# Submits an order to the running stack and shows its way.
# shellcheck shell=bash

ORDER='{ "customer_id": "cus_42", "currency": "EUR",
  "items": [ { "sku": "SKU-1", "quantity": 2, "unit_amount": 1999 } ],
  "payment_method": "pm_card",
  "shipping_address": { "name": "A. Buyer", "line1": "1 Main St", "city": "Berlin",
                        "postal_code": "10115", "country": "DE" },
  "metadata": { "cart": "c-7" } }'

show_timeline() {
    local at service event partition offset
    http -m 5 "$1/timeline" |
        jq -r '.data[] | [.at, .service, .event, .partition // "-", .offset // "-"] | @tsv' |
        while IFS=$'\t' read -r at service event partition offset; do
            printf '    %s  %-14s %-24s partition %s offset %s\n' "$at" "$service" "$event" "$partition" "$offset"
        done
}

first_order() {
    local api=http://127.0.0.1:${PORT[order-svc]} answer id status began=$EPOCHSECONDS
    say order "POST /v1/orders: 2 of SKU-1, 39.98 EUR, to Berlin"
    answer=$(http -m 30 -H 'Content-Type: application/json' -H 'Prefer: wait=20' -d "$ORDER" "$api/v1/orders" 2>&1) ||
        fail order "no answer: $answer" "$(log_of order-svc)"
    id=$(jq -er .id <<<"$answer" 2>/dev/null) || fail order "refused: $answer" "$(log_of order-svc)"
    until status=$(jq -er .status <<<"$answer") && [[ $status == completed ]]; do
        if [[ $status == cancelled ]] || ((EPOCHSECONDS - began > 30)); then
            fail order "order $id is $status, not completed" "$(log_of order-svc)"
        fi
        sleep 0.1
        answer=$(http -m 5 "$api/v1/orders/$id" 2>&1) || answer='{"status":"unknown"}'
    done
    say order "$id is completed; its way:"
    show_timeline "$api/v1/orders/$id" || fail order "its timeline could not be read" "$(log_of order-svc)"
    cat <<EOF

Try next (or see ./deploy/status, ./deploy/env, ./deploy/down):
  curl $api/v1/orders/$id
  curl -H 'Content-Type: application/json' -H 'Prefer: wait=20' $api/v1/orders -d '{
    "customer_id": "cus_42", "currency": "EUR", "payment_method": "pm_card_declined",
    "items": [ { "sku": "SKU-1", "quantity": 1, "unit_amount": 100 } ], "shipping_address": { "country": "DE" } }'
  curl http://127.0.0.1:${PORT[inventory-svc]}/v1/stock/SKU-1
  curl $api/metrics
EOF
}
