// Package nspattern has the patterns of namespaces, which are like those of [net/http.ServeMux]: in /room/{id} the wildcard {id}
// stands for one segment of a name, and {rest...} at the end for all the segments that are left.
package nspattern
