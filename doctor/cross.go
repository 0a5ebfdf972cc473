package doctor

// crossExamine holds what was seen against each other, against DNS and against the mail
// servers. What a single client meets is in its own report.
func (e *examination) crossExamine() []Finding {
	c := &court{examination: e, evidence: e.gather()}
	c.overHTTP()
	c.answers()
	c.values()
	c.order()
	c.agreement()
	c.servers()
	c.records()
	c.names()
	c.others()
	return c.findings
}

// court is a cross-examination on its way.
type court struct {
	*examination
	*evidence
	findings []Finding
}

func (c *court) find(k Kind, detail, remedy string) {
	c.findings = merge(c.findings, finding(k, detail, remedy))
}

// findAs finds with another weight than the kind has.
func (c *court) findAs(w Weight, k Kind, detail, remedy string) {
	f := finding(k, detail, remedy)
	f.Weight = w
	c.findings = merge(c.findings, f)
}
