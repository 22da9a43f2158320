-- Devices that are to be woken by a push, or were: one row each, however many messages wait. Not a fact, but kept: a push that
-- is due is still due after a crash.

CREATE TABLE live.wakes (
    aci        uuid        NOT NULL,
    device     smallint    NOT NULL,
    generation bigint      NOT NULL,
    urgent     boolean     NOT NULL,           -- of what has come since the last push
    attempts   integer     NOT NULL DEFAULT 0, -- since it is due
    due        timestamptz,                    -- NULL: nothing new since the last push
    pushed_at  timestamptz,
    PRIMARY KEY (aci, device, generation)
);

CREATE INDEX ON live.wakes (due);
