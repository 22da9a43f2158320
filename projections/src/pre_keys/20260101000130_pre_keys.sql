-- How many one-time pre-keys each device still has, for each of its identities, and which keys it hands out again and again.

CREATE TABLE read_models.pre_keys_v1 (
    identity    uuid     NOT NULL,
    generation  bigint   NOT NULL,
    kind        smallint NOT NULL, -- of the identity: 0 ACI, 1 PNI
    device      smallint NOT NULL,
    ec_total    integer  NOT NULL, -- on the current page
    ec_left     integer  NOT NULL CHECK (ec_left BETWEEN 0 AND ec_total),
    kyber_total integer  NOT NULL,
    kyber_left  integer  NOT NULL CHECK (kyber_left BETWEEN 0 AND kyber_total),
    ec_page     uuid,
    kyber_page  uuid,
    signed_id   integer,
    signed_key  bytea,
    signature   bytea,
    last_resort uuid, -- the payload that holds it
    PRIMARY KEY (kind, identity, device, generation)
);
