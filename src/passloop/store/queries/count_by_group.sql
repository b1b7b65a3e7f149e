SELECT group_name, state, count(*) FROM tasks GROUP BY group_name, state
