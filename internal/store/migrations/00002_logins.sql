-- What logins came to (internal/login), by account and service; login is JSON, empty as long
-- as there is a claim only. There is no password here.

-- +goose Up

CREATE TABLE logins (
    account      TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    claimed      BIGINT NOT NULL,
    generation   BIGINT NOT NULL DEFAULT 0,
    login        TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (account, service)
);
CREATE INDEX logins_generation ON logins (generation);
