-- What was seen of one device from :since to :until, by the attempts that were under way then.
SELECT samples.* FROM attempts CROSS JOIN samples ON samples.attempt = attempts.id
WHERE attempts.admitted_at < :until AND coalesce(attempts.ended_at, :until) > :since
    AND samples.uuid = :uuid AND samples.at BETWEEN :since AND :until
ORDER BY samples.at
