-- What accounts show of themselves: versions of their profiles. The ciphertext is in log.payloads.

CREATE TABLE read_models.profiles_v1 (
    aci        uuid   NOT NULL,
    written    bigint,          -- when it was last written, as a revision of the profile's stream: the highest is current
    fields     uuid,            -- the payload
    version    bytea  NOT NULL, -- empty for the profile of clients that know no versions
    commitment bytea,
    avatar     text,
    PRIMARY KEY (aci, version)
);
