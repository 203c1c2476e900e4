//! `dist` of programs with C, C++ and assembly in their dependencies; docs/native.md has the table.
