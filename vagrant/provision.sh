#!/bin/sh
# Makes this virtual machine the node NAME of vagrant/lab.yaml, from the checkout in /opt/podwire. May be run again.
# Usage: provision.sh NAME IPV4 IPV6
set -eu

name=$1
ipv4=$2
ipv6=$3
checkout=/opt/podwire
export DEBIAN_FRONTEND=noninteractive

if ! command -v npm >/dev/null 2>&1; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends nodejs npm
fi

# Vagrant gives the private network its IPv4 address; the IPv6 one is ours to add, now and at every boot.
device=$(ip -o -4 addr show to "$ipv4" | awk '{ print $2; exit }')
if [ -z "$device" ]; then
  echo "provision: no interface has $ipv4" >&2
  exit 1
fi

cat >/etc/systemd/system/podwire-underlay.service <<UNIT
[Unit]
Description=podwire underlay: what a node of a pod network needs of its kernel
After=network-online.target
Wants=network-online.target
Before=podwire-agent.service podwire-pod-runner.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/sbin/modprobe br_netfilter
ExecStart=/sbin/ip -6 addr replace $ipv6/64 dev $device nodad
ExecStart=/sbin/sysctl --quiet --load=/etc/podwire-sysctl.conf

[Install]
WantedBy=multi-user.target
UNIT

cat >/etc/podwire-sysctl.conf <<SYSCTL
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
SYSCTL

sh "$checkout/scripts/setup.sh" lab
ln -sf "$checkout/bin/podwire" /usr/local/bin/podwire

units=$(podwire node install --file "$checkout/vagrant/lab.yaml" --node "$name" --credentials /opt/podwire-credentials)
systemctl daemon-reload
# shellcheck disable=SC2086 # a list of unit names
systemctl enable --now podwire-underlay.service $units
# shellcheck disable=SC2086
systemctl restart $units

kubeconfig=/var/lib/podwire/labs/vagrant/kubeconfig
if [ -e "$kubeconfig" ]; then
  printf 'export KUBECONFIG=%s\n' "$kubeconfig" >/etc/profile.d/podwire.sh
  echo "provision: on this machine, sudo KUBECONFIG=$kubeconfig kubectl get nodes"
fi
