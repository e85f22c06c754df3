-- Payloads without a day of their own, of flows of which nothing is left there. $1 days that are kept. Uses
-- payload_other_by_time and packed_by_flow.
DELETE FROM payload
WHERE day = 0 AND time_ns < ((extract(epoch FROM now()) - $1::integer * 86400) * 1000000000)::bigint
    AND NOT EXISTS (SELECT FROM packed WHERE packed.day = 0 AND packed.flow = payload.flow)
