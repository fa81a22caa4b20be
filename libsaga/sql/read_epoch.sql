SELECT id FROM epoch;
