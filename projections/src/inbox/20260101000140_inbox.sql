-- What waits for each device, in the order in which it was accepted.

CREATE TABLE read_models.inbox_v1 (
    position         bigint   NOT NULL, -- of the event that accepted it
    client_timestamp bigint   NOT NULL,
    server_timestamp bigint   NOT NULL,
    generation       bigint   NOT NULL,
    aci              uuid     NOT NULL,
    guid             uuid     NOT NULL,
    destination      uuid     NOT NULL,
    source           uuid,
    payload          uuid,              -- receipts have none
    updated_pni      uuid,
    payload_length   integer  NOT NULL, -- bytes that are delivered; 0 without a payload
    key_material     integer,           -- of a share in a message to many: where in the payload its 48 bytes begin,
    common           integer,           -- and where the part begins that all recipients have in common
    device           smallint NOT NULL,
    kind             smallint NOT NULL,
    destination_kind smallint NOT NULL, -- of the identity: 0 ACI, 1 PNI
    source_kind      smallint,
    source_device    smallint,
    urgent           boolean  NOT NULL,
    story            boolean  NOT NULL,
    PRIMARY KEY (position)
);

-- Without names: a rebuilt copy of the table gets the same ones.
CREATE INDEX ON read_models.inbox_v1 (aci, device, generation, position);
CREATE UNIQUE INDEX ON read_models.inbox_v1 (guid, aci, device, generation);
