-- Where projections stand: one row each for how far it has read, how it fares, and which events it was told to pass over.

CREATE SCHEMA projection;

-- Moved in the transaction that writes the rows; its row lock decides between a worker and a rebuild. A new version of a
-- model has tables and a checkpoint of its own, so that both can be served while a release is rolled out.
CREATE TABLE projection.checkpoints (
    model      text        NOT NULL,
    version    integer     NOT NULL CHECK (version > 0),
    position   bigint      NOT NULL DEFAULT 0 CHECK (position >= 0),
    reactor    boolean     NOT NULL DEFAULT false, -- it has effects outside instead of rows
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version)
);

-- What the worker that holds the lease last said. A projection that cannot take an event stops at it.
CREATE TABLE projection.status (
    model      text        NOT NULL,
    version    integer     NOT NULL,
    state      text        NOT NULL CHECK (state IN ('running', 'stopped')),
    node       text        NOT NULL,
    heartbeat  timestamptz NOT NULL DEFAULT now(),
    stopped_at bigint      CHECK (stopped_at > 0),
    error      text,
    PRIMARY KEY (model, version),
    CONSTRAINT status_stopped_says_why
        CHECK ((state = 'stopped') = (stopped_at IS NOT NULL AND error IS NOT NULL))
);

-- Events that an operator told a projection to pass over. The log holds who did so (EventParked, EventUnparked).
CREATE TABLE projection.parked_events (
    model     text        NOT NULL,
    position  bigint      NOT NULL CHECK (position > 0),
    reason    text        NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, position)
);

-- Rebuilds under way: how far each is, and what operators want of it. The process at work looks here several times a second.
-- A row whose process was killed goes with the copy that it has left.
CREATE TABLE projection.rebuilds (
    model        text        PRIMARY KEY,
    operator     text        NOT NULL,
    wanted       text        NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause', 'cancel')),
    position     bigint      NOT NULL DEFAULT 0,
    goal         bigint      NOT NULL DEFAULT 0,
    events       bigint      NOT NULL DEFAULT 0,
    rate         bigint      NOT NULL DEFAULT 0, -- events a second
    seconds_left bigint      NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL DEFAULT now(),
    told_at      timestamptz NOT NULL DEFAULT now()
);

-- Which log all this comes from: positions of one mean nothing in another.
CREATE TABLE projection.log (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    place       text    NOT NULL CHECK (place IN ('postgres', 'cluster')),
    first_event uuid
);

-- The read models themselves. Queries name the tables without a schema: the connection's search_path says which copy.
CREATE SCHEMA read_models;
