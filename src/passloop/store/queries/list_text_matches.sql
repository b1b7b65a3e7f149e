-- The order is one of the fixed texts in listing.py. Walked by id, so that a page of many matches ends soon.
SELECT tasks.id
FROM tasks NOT INDEXED LEFT JOIN payloads ON payloads.task = tasks.id
WHERE tasks.id BETWEEN :first AND :last AND {conditions} AND ({text})
ORDER BY {order} LIMIT :limit OFFSET :offset
