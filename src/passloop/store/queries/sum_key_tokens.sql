-- What calls of tasks whose keys are like a glob spent, as their answers tell: tokens in and out, by the second word of
-- what follows the first so many characters of a key (words end with a colon).
SELECT substr(tail, 1, instr(tail, ':') - 1), sum(body ->> '$.spent[0]'), sum(body ->> '$.spent[1]')
FROM (
    SELECT substr(rest, instr(rest, ':') + 1) AS tail, body
    FROM (
        SELECT substr(tasks.key, :skipped + 1) AS rest, results.body AS body
        FROM tasks JOIN results ON results.task = tasks.id
        WHERE tasks.key GLOB :keys
    )
)
GROUP BY 1
