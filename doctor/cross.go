package doctor

// crossExamine holds what was seen against each other, against DNS and against the mail
// servers. What one client alone meets is in its own report.
func (e *examination) crossExamine(reports []ClientReport) []Finding {
	return nil
}
