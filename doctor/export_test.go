package doctor

// Read says for each client, in the order of the table, by which name it is chosen, what
// it is called and what was read or run of it.
func Read() [][3]string {
	var all [][3]string
	for _, c := range clients {
		all = append(all, [3]string{c.name, c.title, c.read})
	}
	return all
}
