-- Which keys have hidden buyers, by their fingerprints: whoever is hidden by one is somebody else under another.
CREATE TABLE user_key (fingerprint VARCHAR, used_from TIMESTAMP);
