SELECT sku, on_hand, held FROM stock WHERE sku = ANY ($1::text[]) ORDER BY sku FOR UPDATE;
