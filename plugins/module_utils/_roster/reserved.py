# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that belong to the system, also on hosts where nobody has them yet.

A name is here when a distribution creates it everywhere, when a package that comes later would take the person's
account for its own, or when sudoers, polkit, PAM, D-Bus or udev rules of a distribution give it power: a private group
carries its user's name, so that a person called ``docker`` would be root. Names that a host already has are protected
there as well, by their low ids. What a site's own rules name (``sudoers``, ``sshusers``) is the site's to give out.
Sources: Debian base-passwd and Policy 9.2, Fedora's setup, systemd's sysusers and udev rules, ArchWiki, cloud images.
"""

from __future__ import annotations

#: Compared in folded form.
RESERVED_NAMES = frozenset(
    """
    root toor all nobody nobody4 nogroup nfsnobody daemon bin sys sync adm halt shutdown operator users staff games man
    lp mail news uucp proxy www-data backup list irc gnats src dip fax voice ftp http gopher tty utmp utempter shadow
    disk kmem mem cdrom floppy tape optical storage dialout audio video render input sgx kvm uinput rfkill tss clock
    i2c gpio spi plugdev scanner saned usbmux usbguard adbusers fuse davfs2 bumblebee nvidia-persistenced brlapi log

    sudo wheel admin empower trusted console ssh ssl-cert crontab cron at atd mlocate plocate slocate screen
    nopasswdlogin autologin google-sudoers printadmin lpadmin network netdev networkmanager bluetooth realtime
    pipewire gamemode corectrl nordvpn tsusers tsadmins mock pesign stapdev stapusr stapsys flatpak gnome-initial-setup
    docker podman containerd buildkit microk8s lxc lxd incus incus-admin libvirt libvirtd libvirt-qemu libvirt-dbus
    libvirtdbus qemu swtpm vboxusers vboxsf wireshark pcap tcpdump arpwatch nix-users hacluster haclient

    ubuntu debian centos fedora rocky almalinux opensuse core pi ec2-user cloud-user cloud-init azureuser opc vagrant

    messagebus dbus polkitd polkituser haldaemon rtkit avahi avahi-autoipd geoclue colord cups hplip whoopsie kernoops
    pulse pulse-access pulse-rt speech-dispatcher usbmuxd fwupd-refresh gdm lightdm sddm xdm lxdm xrdp sshd landscape
    pollinate syslog logcheck uuidd dhcpcd dhcpd radvd netplan rpm clevis setroubleshoot abrt cgred libstoragemgmt
    ntp chrony openntpd statd rpc rpcuser nscd nslcd sssd ldap openldap dirsrv pkiuser ipaapi kdcproxy radiusd freerad
    sambashare winbindd_priv wbpriv wbsshd gluster ceph toranon openvpn bind named dnsmasq unbound pdns knot squid
    postfix postdrop dovecot dovenull exim mailnull smmsp smmta sasl saslauth cyrus mailman majordomo vmail opendkim
    opendmarc amavis clamav clamupdate spamd mysql mariadb postgres pgbouncer redis valkey memcache memcached mongodb
    mongod rabbitmq elasticsearch opensearch influxdb etcd nginx apache apache2 haproxy varnish tomcat git gitea
    gitlab-runner nut bacula backuppc nagios icinga zabbix grafana snort ossec wazuh
    """.split()
)

#: Packages and systemd make names of these beginnings; Debian asks its packages to begin theirs with an underscore.
RESERVED_BEGINNINGS = ("_", "systemd-", "debian-", "snap_", "snapd-", "cockpit-", "nm-", "cups-", "nixbld")


def is_reserved(name: str) -> bool:
    """``name`` in folded form."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_BEGINNINGS)
