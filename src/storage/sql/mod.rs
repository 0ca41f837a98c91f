//! The ports, kept in SQL: statements and rows.
