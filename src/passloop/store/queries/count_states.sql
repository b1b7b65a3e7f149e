SELECT tasks.state, count(*) FROM tasks WHERE {conditions} GROUP BY tasks.state
