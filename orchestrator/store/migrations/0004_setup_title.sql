-- What the plan of the launch calls a setup command. The commands that build a host's tools are in no stored plan.
ALTER TABLE setup_result ADD COLUMN title TEXT NOT NULL DEFAULT '';
