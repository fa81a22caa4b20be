-- All that follows sees one moment, and no slot of the outbox is truncated meanwhile.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
