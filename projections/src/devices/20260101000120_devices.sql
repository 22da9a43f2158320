-- Which devices an account has, and how each proves who it is.

CREATE TABLE read_models.devices_v1 (
    aci                 uuid     NOT NULL,
    linked_at           bigint   NOT NULL,
    last_seen           bigint   NOT NULL,
    generation          bigint   NOT NULL,
    device              smallint NOT NULL,
    registration_id     smallint NOT NULL,
    pni_registration_id smallint,
    fetches_messages    boolean  NOT NULL,
    capabilities        text[]   NOT NULL,
    credential_salt     text, -- both NULL once no password is good any more
    credential_hash     text,
    name                bytea,
    agent               text,
    push_service        text     CHECK (push_service IN ('apn', 'fcm')),
    push_token          text,
    created_at          bytea, -- when it joined, sealed for the account's owner
    link_token          bytea, -- SHA-256 of the token by which it was linked
    archive             text,  -- where it finds the account's history, as in the event; NULL with archive_at
    archive_at          bigint,
    PRIMARY KEY (aci, device)
);
