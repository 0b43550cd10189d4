# core/catalogue/schema.sed: schema.sql as C string literals, one per "-- version N" section. Comments
# within a table stay, so that .schema in the sqlite3 shell shows them.
s/\\/\\\\/g
s/"/\\"/g
/^-- version [0-9]*$/{
	s/.*/,/
	b
}
s/.*/"&\\n"/
