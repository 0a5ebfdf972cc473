package login

// PasswordOf is for tests, which have to see what nobody else does.
func PasswordOf(a Account) string { return a.password() }
