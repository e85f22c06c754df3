    AND time_ns >= $13::bigint AND time_ns < $13 + $14::bigint * $15::bigint
GROUP BY 1, 2
