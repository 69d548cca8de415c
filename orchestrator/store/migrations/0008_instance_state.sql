-- How an instance is doing is the daemon's to know while it runs: nobody wrote these.
ALTER TABLE instance DROP COLUMN state;
ALTER TABLE instance DROP COLUMN message;
