-- What is true only for the moment: which node has a device's socket, and what nodes hand each other. None of it is a fact.
-- Unlogged: after a crash of Postgres every node says again what it holds.

CREATE SCHEMA live;

-- A node shows that it is alive by moving `seen`.
CREATE UNLOGGED TABLE live.nodes (
    node uuid        PRIMARY KEY,
    seen timestamptz NOT NULL DEFAULT now()
);

-- The one socket that a device's messages go to.
CREATE UNLOGGED TABLE live.sockets (
    aci        uuid     NOT NULL,
    device     smallint NOT NULL,
    generation bigint   NOT NULL,
    node       uuid     NOT NULL,
    socket     bigint   NOT NULL, -- the node's own number for it
    PRIMARY KEY (aci, device)
);

CREATE INDEX ON live.sockets (node);

-- What a node has to be told: that a socket of its lost the device named here, or an ephemeral envelope for that device, or
-- (neither of both) that the socket which the device had elsewhere has nothing left to store.
CREATE UNLOGGED TABLE live.parcels (
    number     bigint      GENERATED ALWAYS AS IDENTITY,
    node       uuid        NOT NULL,
    aci        uuid        NOT NULL,
    device     smallint    NOT NULL,
    generation bigint      NOT NULL,
    socket     bigint,
    envelope   bytea,
    sent_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, number),
    CONSTRAINT parcels_hold_one_thing CHECK (socket IS NULL OR envelope IS NULL)
);
