-- Whether a flow has a reset. $1 flow. Uses digest_by_flow.
SELECT EXISTS (SELECT FROM digest WHERE digest.flow = $1 AND (flags & 4) + 0 <> 0)
