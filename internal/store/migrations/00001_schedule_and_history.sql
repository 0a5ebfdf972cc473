-- One schema for SQLite and PostgreSQL. Times are milliseconds since 1970 in UTC; NULL in
-- due: the service is not declared any more. What was seen is JSON, as settings.EncodeHistory
-- and settings.EncodeObservation write it.
--
-- A later migration may only add: while replicas are renewed one by one, older ones work on
-- the newer schema.

-- +goose Up

CREATE TABLE entries (
    vantage      TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    declared     BIGINT NOT NULL,
    due          BIGINT,
    owner        TEXT   NOT NULL DEFAULT '',
    leased       BIGINT NOT NULL DEFAULT 0,
    tries        BIGINT NOT NULL DEFAULT 0,
    history      TEXT   NOT NULL DEFAULT '',
    seen         BIGINT NOT NULL DEFAULT 0,
    generation   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (vantage, service)
);
CREATE INDEX entries_due ON entries (vantage, due);
CREATE INDEX entries_generation ON entries (generation);

CREATE TABLE changes (
    service      TEXT   NOT NULL,
    generation   BIGINT NOT NULL,
    vantage      TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    observation  TEXT   NOT NULL,
    PRIMARY KEY (service, generation)
);

-- One row. Whoever saves raises it, and holds it until the save is there for everybody: so
-- generations appear in order, and whoever asks for what is new misses nothing.
CREATE TABLE generations (
    newest       BIGINT NOT NULL
);
INSERT INTO generations (newest) VALUES (0);
