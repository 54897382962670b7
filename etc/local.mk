# SPDX-License-Identifier: MIT
# The commented sample and the completion go where an administrator finds them; a
# configuration that is already there is never touched. The units are for a roost that
# speaks with systemd.
dist_doc_DATA = etc/roost.yaml
if HAVE_SYSTEMD
nodist_systemdunit_DATA = contrib/systemd/roost.service
dist_systemdunit_DATA = contrib/systemd/roost.socket
endif
CLEANFILES += contrib/systemd/roost.service
contrib/systemd/roost.service: contrib/systemd/roost.service.in Makefile
	$(AM_V_GEN)mkdir -p contrib/systemd && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' \
	  -e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/contrib/systemd/roost.service.in > $@

# bash finds it by the command's name
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = contrib/completion/roostctl
