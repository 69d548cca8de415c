-- Whether every artifact had the size and hash that the worker's manifest states. NULL: published by a program that did not
-- say so. 0: what a dead worker or a pull that was given up left, hashed at home.
ALTER TABLE run ADD COLUMN artifacts_verified INTEGER CHECK (artifacts_verified IN (0, 1));
