-- Pools that workflows name, so that one which nobody created is seen: it limits nothing.
CREATE TABLE signalbox.pool_named (
    pool      text NOT NULL,
    workflow  text NOT NULL,
    PRIMARY KEY (pool, workflow)
);
CREATE INDEX pool_named_workflow ON signalbox.pool_named (workflow);
INSERT INTO signalbox.pool_named (pool, workflow)
SELECT DISTINCT t.task ->> 'pool', w.name
FROM signalbox.workflow w
JOIN signalbox.workflow_version v ON v.id = w.version_id
CROSS JOIN LATERAL jsonb_array_elements(v.graph -> 'tasks') AS t (task)
WHERE t.task ->> 'pool' IS NOT NULL;
