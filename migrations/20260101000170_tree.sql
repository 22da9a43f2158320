-- The Merkle tree over the log: the hashes of its leaves, 256 to a row, so that a proof reads a few rows. Hash n of tile t is that
-- of the event before which 256 t + n others stand; in Postgres that is the one at position 256 t + n + 1.

CREATE TABLE log.tree_tiles (
    tile    bigint PRIMARY KEY CHECK (tile >= 0),
    through bigint NOT NULL UNIQUE CHECK (through > 0), -- the position of its last event
    leaves  bytea  NOT NULL CHECK (octet_length(leaves) BETWEEN 32 AND 8192 AND octet_length(leaves) % 32 = 0),
    root    bytea  CHECK (octet_length(root) = 32), -- once it is full
    CONSTRAINT tree_tiles_root CHECK ((root IS NOT NULL) = (octet_length(leaves) = 8192))
);

ALTER TABLE log.tree_tiles ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- How many events the last head covers, and the position of the last of them.
CREATE TABLE log.tree_signed (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    size    bigint  NOT NULL CHECK (size >= 0),
    through bigint  NOT NULL CHECK (through >= 0)
);

INSERT INTO log.tree_signed (size, through) VALUES (0, 0);
