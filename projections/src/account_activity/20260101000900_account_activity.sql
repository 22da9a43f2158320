-- How much has each account done and received on each day?

CREATE TABLE read_models.account_activity_v1 (
    aci       uuid   NOT NULL,
    as_of     bigint NOT NULL, -- the position of the last event that was counted
    received  bigint NOT NULL, -- messages, once for each device that they were queued for
    sent      bigint NOT NULL, -- the same for those that it sent, without hiding that it did
    delivered bigint NOT NULL, -- messages that a device acknowledged
    expired   bigint NOT NULL, -- messages that nobody fetched in time
    reported  bigint NOT NULL, -- reports of its messages as spam
    changes   bigint NOT NULL, -- of the account itself: devices, settings, keys
    day       date   NOT NULL, -- UTC
    PRIMARY KEY (aci, day)
);
