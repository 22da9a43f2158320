-- Who has an account, how it is reached, and by which keys it is known.

CREATE TABLE read_models.accounts_v1 (
    aci              uuid       PRIMARY KEY,
    pni              uuid       NOT NULL,
    registered_at    bigint     NOT NULL, -- milliseconds since 1970-01-01 UTC, as everywhere here
    unrestricted     boolean    NOT NULL,
    discoverable     boolean    NOT NULL,
    storage_devices  smallint[] NOT NULL, -- ids of the devices that can keep an encrypted copy of the account
    number           text,                -- NULL once its key is destroyed
    aci_identity_key bytea,
    pni_identity_key bytea,
    access_key       bytea
);

CREATE INDEX ON read_models.accounts_v1 (pni);
