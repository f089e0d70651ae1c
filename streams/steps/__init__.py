"""One verb a file: functions over Arrow tables, without I/O and without any framework."""
