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
    access_key       bytea,
    username_hash    bytea,
    link_handle      uuid,                -- where the link to the username stands
    link_value       bytea,               -- the username, encrypted for those who have the link
    zk_credential_key bytea,              -- binds credentials for pictures to the account
    zk_rotation_id   bigint,              -- which key that is
    backup_messages  bytea,               -- the requests by which it gets credentials of its backups
    backup_media     bytea,
    totp_keys        text       NOT NULL  -- [[number, metadata in base64], …]: keys for one-time passwords
);

CREATE INDEX ON read_models.accounts_v1 (pni);
CREATE INDEX ON read_models.accounts_v1 (username_hash) WHERE username_hash IS NOT NULL;
CREATE INDEX ON read_models.accounts_v1 (link_handle) WHERE link_handle IS NOT NULL;
