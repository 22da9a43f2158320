-- Nothing can be brought to somebody who waited on a node that is dead.

ALTER TABLE live.meetings
    ADD COLUMN lifeline bigint; -- an advisory lock that the node of whoever waits holds while it lives; NULL if it held none
