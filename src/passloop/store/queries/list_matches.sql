-- The order is one of the fixed texts in listing.py.
SELECT tasks.id FROM tasks WHERE {conditions} ORDER BY {order} LIMIT :limit OFFSET :offset
