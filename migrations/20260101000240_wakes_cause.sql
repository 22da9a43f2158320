-- What is done because of a push that failed says which event it came from. A device that only left has none.

ALTER TABLE live.wakes
    ADD COLUMN cause uuid, -- the last event that made it due
    ADD COLUMN chain uuid; -- the chain of requests that the event belongs to
