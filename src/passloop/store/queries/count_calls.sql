-- Calls that drew on one of these pools, by the step of time in which they were admitted and how they ended.
SELECT (attempts.admitted_at - :since) / :step, attempts.outcome ->> 'kind', count(*)
FROM attempts
WHERE attempts.admitted_at >= :since AND attempts.driver = 'calls' AND EXISTS (
    SELECT 1 FROM json_each(attempts.allocation, '$.amounts') AS drawn
    WHERE drawn.value ->> 0 IN (SELECT value FROM json_each(:pools)))
GROUP BY 1, 2
