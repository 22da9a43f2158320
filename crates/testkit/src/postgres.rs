//! A database for each test, on one private cluster a machine.
