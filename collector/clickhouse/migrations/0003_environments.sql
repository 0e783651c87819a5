-- What was seen in environments of branches: names carry the environment in front (`~pr-123~daily-orders`). It is read
-- from there, so nothing is written twice.

ALTER TABLE signalbox.run_events ADD COLUMN IF NOT EXISTS
    environment String ALIAS if(startsWith(workflow, '~'), splitByChar('~', toString(workflow))[2], 'production');
ALTER TABLE signalbox.asset_events ADD COLUMN IF NOT EXISTS
    environment String ALIAS if(startsWith(asset_key, '~'), splitByChar('~', asset_key)[2], 'production');
ALTER TABLE signalbox.pool_samples ADD COLUMN IF NOT EXISTS
    environment String ALIAS if(startsWith(pool, '~'), splitByChar('~', toString(pool))[2], 'production');
ALTER TABLE signalbox.heartbeats ADD COLUMN IF NOT EXISTS
    environment String ALIAS if(startsWith(name, '~'), splitByChar('~', toString(name))[2], 'production');
